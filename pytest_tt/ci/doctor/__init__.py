"""Why tests cannot run on the chips of this machine, and what to do; found out without opening a chip."""
