"""Check predictions of models that were trained anywhere: leaks, chance, intervals, shortcuts.

Needs neither a prepared store nor torch. Modules in data-flow order:

- `table`: columns that all tables have, and the names of trials and sessions
- `predictions`: tables of predictions, with columns in many spellings
- `splits`: tables that state what each fold was trained on
- `leaks`: what training and test share, duplicated rows, the protocol
- `history`: an epoch that was selected on the test set
- `shortcuts`: baselines that know only identities, and the verdict
- `result`: `AuditResult` and `audit_predictions`, which computes it

To add a leak: return a `leaks.Leak` with a new ``kind`` from `leaks.find_leaks`, and describe it in
`leaks.DESCRIPTIONS`.
"""
