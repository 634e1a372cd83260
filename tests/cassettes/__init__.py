"""The corpus: a cassette for each behaviour of real endpoints, and what a reader should find in it.

The modules here describe the cassettes; `python -m tests.cassettes` writes the files beside them. What is expected was
written by hand from the providers' documentation and the rules of the contract, never taken from what the code gives.
"""
