"""The machine that a process runs on: files that are written completely or not at all, JSON and YAML with errors that
say where, a cache, the memory of a container, processes that end with their parent. Nothing here knows what a run, a
model or an utterance is.
"""
