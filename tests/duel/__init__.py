"""Other people's ways of deploying, watched: real tools behind real proxies, and what users got. Needs an engine."""
