"""The numerics of Setpoint: from a plant table to the best set-points, in a notebook as on a server.

In the order in which they are used:

    engine.tables       read_table, Reading, derive, DerivedTag, profile, complete_matrix: files become typed tags
    engine.expressions  Expression, as_reference: arithmetic over tags, as text that is never code
    engine.folds        Validation, honest_scheme, folds, split_at: which rows are held out together
    engine.validation   cross_validate, CrossValidation: how well rows are predicted that a model has not seen
    engine.honest       compare, score_after, Note: what a score at random hides, and whether it lasts, in words
    engine.surrogates   KINDS, fit, save, load, to_onnx, import_onnx, Surrogate: models that predict outputs
    engine.importance   model_importance, held_out_importance, eliminate, select, Importance: which inputs matter
    engine.explain      partial_dependence, contributions, explain_change: why a model says what it says
    engine.problem      Problem, Variable, Term, Limit: what is free, what is wanted, and within which limits
    engine.optimize     minimize, Optimum, Step: the best inputs within a budget of evaluations, resumable
    engine.solvers      SOLVERS, from_state: what searches, with ask and tell, on objectives of your own too
    engine.evaluator    Evaluator: a problem computed for whole populations, and the report on one point
    engine.distances    squared_distances: numbers in their scales, categories by whether they are the same
    engine.neighbors    History, comparable_rows: how far a point is from everything that was measured
    engine.lookback     Lookback, Steady, Recent: lags, windows and horizons, the same in training as in a search
    engine.process      ProcessGraph, Module, ModuleInput: modules in layers, with what they make for each other
    engine.process_model    ProcessModel: the models of a process as one model, with links and cuts
    engine.process_optimum  optimize_process: cascade, joint and negotiated, with what each link wanted and got
    engine.trust        DistanceEnvelope, PolyhedralEnvelope: where a model has seen enough to be believed
    engine.pareto       nondominated, hypervolume, knee, thin: points of several objectives
    engine.exact        certify, Certificate, eligible: proofs of how far an answer is from the best there can be
    engine.errors       EngineError: every refusal; its message says what was given and what was wanted

``examples/notebook.py`` goes through most of it in fifty lines. Importing ``engine`` itself loads nothing.
"""
