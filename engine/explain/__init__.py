"""What a model makes of its inputs: along one or two of them, and for a single prediction.

    partial_dependence    the prediction along one or two tags, as the mean over rows and for each row
    contributions         what each input adds to a prediction, against a background of rows; adds up exactly
    explain_change        what each changed input adds on the way from one point to another; adds up exactly

Any model will do that has ``inputs``, ``outputs`` and ``predict``: a surrogate, a composed process, one's own. All
of it speaks of the model. Of the plant it tells as much as the model is right.
"""

from engine.explain.dependence import Dependence, partial_dependence
from engine.explain.shapley import Contributions, contributions, explain_change

__all__ = ["Contributions", "Dependence", "contributions", "explain_change", "partial_dependence"]
