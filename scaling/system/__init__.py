"""The machine that a process runs on: files that are written whole or not at all, JSON with errors that say where, a
cache, the memory of a container, processes that end with their parent. Nothing here knows what a run, a model or an
utterance is.
"""
