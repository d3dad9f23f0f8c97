"""Which inputs matter: from the model, by permutation, by elimination, and by what they tell beyond each other.

    model_importance         what a trained model of a kind that can be read makes of its inputs
    permutation_importance   what a model loses on rows it has not seen when an input is shuffled
    held_out_importance      the same for a kind of model, over folds
    eliminate                inputs left out one after the other, with the score that is left at every number
    select                   minimum redundancy, maximum relevance: without a model
    correlated_groups        inputs that move together, and therefore share importance
    mutual_information       how much one variable tells about another, of whatever form

None of them tells what happens when somebody moves an input of the plant: they tell what predicts.
"""

from engine.importance.elimination import Elimination, eliminate
from engine.importance.information import mutual_information
from engine.importance.of_models import ImportanceUnavailable, check_readable, model_importance
from engine.importance.permutation import held_out_importance, permutation_importance
from engine.importance.ranking import Group, Importance, Ranks, correlated_groups
from engine.importance.redundancy import Selection, select

__all__ = [
    "Elimination",
    "Group",
    "Importance",
    "ImportanceUnavailable",
    "Ranks",
    "Selection",
    "check_readable",
    "correlated_groups",
    "eliminate",
    "held_out_importance",
    "model_importance",
    "mutual_information",
    "permutation_importance",
    "select",
]
