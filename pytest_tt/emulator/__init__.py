"""Executes the program that TT's compiler made on simulated chips: exactly, or with the numbers of the chips."""
