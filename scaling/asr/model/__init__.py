"""The recogniser: encoder, projector and LLM with LoRA adapters, their losses, and greedy decoding. Nothing in this
package knows of several processes, of the files of a study, or of FLOPs.
"""
