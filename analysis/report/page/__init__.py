"""The page of a report: templates with all markup and wording, the values that they need beside the findings, and one
figure that answers for any budget. Nothing here computes a result.
"""
