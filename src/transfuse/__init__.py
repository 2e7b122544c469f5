"""Transfer learning for biomedical named entity recognition."""

from transfuse.text import Corpus, Document, Entity, Tagger, Task, TransfuseError

__all__ = ["Corpus", "Document", "Entity", "Tagger", "Task", "TransfuseError"]
__version__ = "0.1.0"
