"""What is done with an engine and its ledger; no feature knows another."""
