"""Writers: a job's trends become a production plan with evidence for every figure.

`writer` says what a writer is, `evidence` what it may claim, `grammar` is the offline one, `anthropic_api` asks Claude.
"""
