"""Checkpoints of other projects <-> weights files of ours, without executing anything in them.

To read in this order: families (who there is, as data), rename and naming (how they call their
tensors), fit (which config it is), converter (all of it), readers and the files' layouts behind it,
export and writers (the way back), published (what can be fetched), __main__ (the command).
"""
