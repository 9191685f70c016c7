"""The language of a study: as its file says, else as its corpus says. There is no default."""

from pathlib import Path

from scaling.errors import InputError
from scaling.speech.spoken_language import check_code, spoken_language
from scaling.speech.synthetic.recipes import RECIPES
from sweeps.study.schema.data_fields import AssumedFields, CorpusFields
from sweeps.study.study_file import StudyFile, corpus_path


def with_language(file: StudyFile) -> StudyFile:
    """The study with its `language`. Raises InputError where neither the study nor its training data name one, and for
    what is no code of a language.
    """
    if file.fields.language is not None:
        check_code(file.fields.language, str(file.source))
        return file
    language = _of_training_data(file)
    if language is None:
        raise InputError(
            f"{file.source}: language is missing, and the training data does not name one; expected Whisper's code"
            " of the language that is spoken, such as language: zh, or --set language=en"
        )
    return file.replaced(language=language)


def _of_training_data(file: StudyFile) -> str | None:
    data = file.fields.data
    if isinstance(data, CorpusFields):
        recipe = RECIPES.get(data.corpus)
        return None if recipe is None else recipe.language
    if isinstance(data.train, AssumedFields):
        return None
    path: Path = corpus_path(file, data.train)
    with file.at(("data", "train")):
        return spoken_language(path)
