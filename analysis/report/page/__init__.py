"""The page of a report: markup made from findings, with one hand-written figure that answers for any budget."""
