"""The scenario file: read, checked, changed by the command line, described and begun anew; nothing here runs one."""
