"""The report of a study: everything it says is worked out once as findings, drawn as figures, and set as one HTML
page. Nothing here computes a number that no verb prints.
"""
