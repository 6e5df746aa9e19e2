"""What a person looks at while a run goes on and when it is over: the terminal's board, the page, and the reports."""
