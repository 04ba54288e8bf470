"""What is compiled for the chips: programs, their options, their cache, and where arguments lie."""
