"""From a task order to committed, noised bytes: policy, worker, ledger."""
