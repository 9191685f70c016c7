"""An LLM's own chat template around the speech, rendered once, where a study is read, without transformers.

The rendered prompt is the whole conversation with `{speech}` and `{text}` in their places and the token that ends the
answer behind it, so a run's key says exactly what its LLM was shown, and its end token is the family's own.
"""

from pathlib import Path
from typing import Any, NoReturn

from scaling.base_models.tokenizers import load_tokenizer, tokenizer_file
from scaling.errors import InputError
from scaling.system.json_files import read_json

CHAT = "chat"
"""`prompt: chat` says the speech and nothing else; what follows `chat:` is said around it."""


def is_chat(prompt: str) -> bool:
    """Whether a study's prompt asks for the chat template."""
    return prompt == CHAT or prompt.startswith(f"{CHAT}:")


def message(prompt: str) -> str:
    """What the user says in a chat prompt, `{speech}` in its place; other prompts as they are.

    >>> message("chat"), message("chat: Write down: {speech}")
    ('{speech}', 'Write down: {speech}')
    """
    if not is_chat(prompt):
        return prompt
    return "{speech}" if prompt == CHAT else prompt.partition(":")[2].strip()


def conversation(llm: Path, said: str) -> str:
    """`said` and its answer `{text}` in the template of the LLM in a directory, up to the token that ends the answer.

    Raises InputError where the LLM has no template, or one that cannot be rendered, that leaves out or changes what is
    said, or whose answer is not ended by a special token.
    """
    place, template = _template(llm)
    rendered = _render(place, template, _special_tokens(llm), said)
    if rendered.count(said) != 1 or rendered.count("{text}") != 1:
        raise InputError(f"{place}: the template does not give what is said and the answer once each, unchanged")
    before, _, after = rendered.partition("{text}")
    tokenizer = load_tokenizer(tokenizer_file(llm))
    ids = tokenizer.encode(after, add_special_tokens=False).ids
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    if not ids or ids[0] not in special:
        raise InputError(f"{place}: the answer is followed by {after!r}; expected a special token that ends it")
    return f"{before}{{text}}{tokenizer.id_to_token(ids[0])}"


def _template(llm: Path) -> tuple[Path, str]:
    path = llm / "chat_template.jinja"
    if path.is_file():
        return path, path.read_text("utf-8")
    path = llm / "tokenizer_config.json"
    found = read_json(path).get("chat_template") if path.is_file() else None
    if isinstance(found, list):  # several by name
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    if not isinstance(found, str):
        raise InputError(f"{llm}: the LLM has no chat template; expected a prompt without `chat`, or a chat model")
    return path, found


def _special_tokens(llm: Path) -> dict[str, str]:
    """`bos_token` and its like, which templates name."""
    path = llm / "tokenizer_config.json"
    settings: dict[str, Any] = read_json(path) if path.is_file() else {}
    tokens = {name: value for name, value in settings.items() if name.endswith("_token")}
    contents = {name: value["content"] if isinstance(value, dict) else value for name, value in tokens.items()}
    return {name: value for name, value in contents.items() if isinstance(value, str)}


def _render(place: Path, template: str, special_tokens: dict[str, str], said: str) -> str:
    from jinja2 import TemplateError  # only where there is a chat
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(reason: str) -> NoReturn:
        raise TemplateError(reason)

    # The options that templates are written for (those of transformers); a template has no access to anything else.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = raise_exception
    turns = [{"role": "user", "content": said}, {"role": "assistant", "content": "{text}"}]
    try:
        return environment.from_string(template).render(messages=turns, add_generation_prompt=False, **special_tokens)
    except Exception as error:  # a template may do anything wrong that a program may
        raise InputError(f"{place}: the chat template cannot be rendered ({error})") from error
