"""The trainer: it claims nodes of a plan, trains them, evaluates them and records their results. This is the only
package that imports torch, transformers and peft, and nothing imports it: it is started as `python -m scaling.asr`.
"""
