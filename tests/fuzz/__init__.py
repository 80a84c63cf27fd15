"""Structure-aware fuzzing of everything that reads files of strangers: python -m tests.fuzz.

It lives with the tests because it drives convert and tools alike, and tools may not import convert.
"""
