"""The event log of a sweep and what is derived from it: trials, tables, the best generator."""
