"""The chat template of an LLM, rendered around the speech where a study is read, without transformers.

The rendered prompt is the whole conversation, with `{speech}` and `{text}` in their places and the end token of the
answer last. So the key of a run covers exactly what its LLM reads, and the end token is that of the LLM's own family.
"""

from pathlib import Path
from typing import NoReturn

from scaling.base_models.tokenizers import load_tokenizer, tokenizer_file
from scaling.errors import InputError
from scaling.system.json_files import read_json

CHAT = "chat"
"""With `prompt: chat` the user message is the speech alone; with `chat: MESSAGE` it is that message."""


def is_chat(prompt: str) -> bool:
    """Whether the prompt of a study asks for the chat template."""
    return prompt == CHAT or prompt.startswith(f"{CHAT}:")


def message(prompt: str) -> str:
    """The user message of a chat prompt, with `{speech}` in it; other prompts are returned unchanged.

    >>> message("chat"), message("chat: Write down: {speech}")
    ('{speech}', 'Write down: {speech}')
    """
    if not is_chat(prompt):
        return prompt
    return "{speech}" if prompt == CHAT else prompt.partition(":")[2].strip()


def checked_prompt(prompt: str) -> str:
    """The prompt of a study. Raises ValueError where its message does not hold `{speech}` once."""
    if message(prompt).count("{speech}") != 1:
        raise ValueError("text with {speech} once, where the speech goes, or `chat`")
    return prompt


def prompt_of(llm: Path | None, prompt: str) -> str:
    """The prompt as an LLM reads it, in its own template; the message alone without files. Raises as `conversation`."""
    return message(prompt) if llm is None or not is_chat(prompt) else conversation(llm, message(prompt))


def conversation(llm: Path, user_message: str) -> str:
    """The user message and its answer `{text}` in the template of the LLM in a directory, up to the answer's end token.

    Raises InputError where the LLM has no template, where the template cannot be rendered, changes or leaves out the
    message or the answer, or does not end the answer with a special token.
    """
    place, template = _template(llm)
    rendered = _render(place, template, _special_tokens(llm), user_message)
    if rendered.count(user_message) != 1 or rendered.count("{text}") != 1:
        raise InputError(f"{place}: the template must give the user message and the answer once each, unchanged")
    before, _, after = rendered.partition("{text}")
    tokenizer = load_tokenizer(tokenizer_file(llm))
    ids = tokenizer.encode(after, add_special_tokens=False).ids
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    if not ids or ids[0] not in special:
        raise InputError(f"{place}: the answer is followed by {after!r}; expected a special token that ends the answer")
    return f"{before}{{text}}{tokenizer.id_to_token(ids[0])}"


def _template(llm: Path) -> tuple[Path, str]:
    path = llm / "chat_template.jinja"
    if path.is_file():
        return path, path.read_text("utf-8")
    path = llm / "tokenizer_config.json"
    template = read_json(path).get("chat_template") if path.is_file() else None
    if isinstance(template, list):  # several templates with names
        by_name = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = by_name.get("default")
    if not isinstance(template, str):
        raise InputError(f"{llm}: the LLM has no chat template; expected a prompt without `chat`, or a chat model")
    return path, template


def _special_tokens(llm: Path) -> dict[str, str]:
    """Special tokens by the names that templates use, such as `bos_token`."""
    path = llm / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    tokens = {name: value for name, value in settings.items() if name.endswith("_token")}
    contents = {name: value["content"] if isinstance(value, dict) else value for name, value in tokens.items()}
    return {name: value for name, value in contents.items() if isinstance(value, str)}


def _render(place: Path, template: str, special_tokens: dict[str, str], user_message: str) -> str:
    from jinja2 import TemplateError  # imported only where a study uses a chat template
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(reason: str) -> NoReturn:
        raise TemplateError(reason)

    # Templates are written for these options of transformers. The sandbox keeps a template from anything else.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = raise_exception
    turns = [{"role": "user", "content": user_message}, {"role": "assistant", "content": "{text}"}]
    try:
        return environment.from_string(template).render(messages=turns, add_generation_prompt=False, **special_tokens)
    except Exception as error:  # a template is a program and may raise anything
        raise InputError(f"{place}: the chat template cannot be rendered ({error})") from error
