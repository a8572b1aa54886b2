"""Chat templates. The expected texts are those of `transformers` 5.23 for the same templates."""

import datetime

import pytest

from bellmax.language.chat import CHATML, Chat, Piece

SYSTEM, USER, HELLO, MORE, BYE = (
    {"role": role, "content": content}
    for role, content in (
        ("system", "Be <brief>."),
        ("user", " Hi & bye "),
        ("assistant", "Hello."),
        ("user", "More"),
        ("assistant", "Bye."),
    )
)

# As SmolLM2-Instruct has it.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# As Llama 3 has it.
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)

# Qwen2.5's way with tools, with blocks on lines of their own, as most templates are written now.
QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n# Tools' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- continue %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{% if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# Qwen3 leaves out of earlier turns what was thought; this is how.
FORGETFUL = (
    "{% for message in messages %}{{ '<' + message.role + '>' }}"
    "{{ message.content if loop.last or message.role == 'user' else message.content.split('</think>')[-1] }}"
    "{{ '<end>' }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def test_chatml_as_smollm2_has_it():
    assert Chat(SMOLLM2, "<|im_start|>", "<|im_end|>").render([USER, HELLO, MORE], generate=True) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\n Hi & bye <|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\n"
    )
    assert Chat(SMOLLM2).render([SYSTEM, USER]) == (
        "<|im_start|>system\nBe <brief>.<|im_end|>\n<|im_start|>user\n Hi & bye <|im_end|>\n"
    )


def test_llama3_trims_and_begins_with_one_begin_token():
    assert Chat(LLAMA3, "<|begin_of_text|>").render([SYSTEM, USER, HELLO], generate=True) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe <brief>.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi & bye<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_tools_are_json_without_html_and_loops_can_continue():
    tools = [{"name": "f", "description": "a < b & 'ä'"}]
    tool = {"role": "tool", "content": "7"}
    assert Chat(QWEN).render([USER, tool], generate=True, tools=tools) == (
        '<|im_start|>system\n# Tools\n{"name": "f", "description": "a < b & \'ä\'"}<|im_end|>\n'
        "<|im_start|>user\n Hi & bye <|im_end|>\n<|im_start|>assistant\n"
    )
    assert Chat("{{ {'b': 1, 'a': [2]} | tojson(indent=1, sort_keys=True) }}").render([]) == (
        '{\n "a": [\n  2\n ],\n "b": 1\n}'
    )


def test_templates_make_dicts_and_do_not_see_the_class():
    assert (
        Chat("{{ dict([('a', 1)], b=2) }}{{ dict.fromkeys('ab', 0) }}").render([]) == "{'a': 1, 'b': 2}{'a': 0, 'b': 0}"
    )
    assert Chat("{{ dict.items is defined }}").render([]) == "False"


def test_blocks_leave_no_lines_and_marks_of_generation_no_trace():
    template = "{% for m in messages %}\n  {% generation %}\n{{ m.content }}\n  {% endgeneration %}\n{% endfor %}\n"
    assert Chat(template).render([HELLO, BYE]) == "Hello.\nBye.\n"


def test_the_date_can_be_told():
    template = "{{ strftime_now('%d %b %Y') }}"
    assert Chat(template, now=datetime.datetime(2024, 7, 26)).render([]) == "26 Jul 2024"
    assert Chat(template).render([]) == datetime.datetime.now().strftime("%d %b %Y")


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append({'role': 'user', 'content': ''}) }}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ dict.__init__.__globals__ }}",
        "{{ strftime_now.__globals__['datetime'] }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
        "{% set n = namespace(__class__=1) %}",
        "{% set n = namespace() %}{% set n._secret = 1 %}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ ('%s' | attr('__class__')).__mro__ }}",
        "{{ range(10 ** 9) | length }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(escape):
    messages = [dict(USER)]
    with pytest.raises(ValueError, match=r"the chat template (is refused|fails)"):
        Chat(escape).render(messages)
    assert messages == [USER]


def test_a_sandbox_without_walls_would_be_noticed():
    from jinja2 import Environment

    assert "object" in Environment().from_string("{{ ''.__class__.__mro__ }}").render()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('roles must alternate') }}", "fails: roles must alternate"),
        ("{{ messages[5].content.strip() }}", "fails: .*no element 5"),
        ("{{ 'a' + 1 }}", "fails: can only concatenate"),
    ],
)
def test_complaints_of_a_template_are_one_kind_of_error(template, said):
    with pytest.raises(ValueError, match=said):
        Chat(template).render([USER])


def test_what_is_no_template_is_refused_when_it_is_given():
    with pytest.raises(ValueError, match=r"the chat template fails: .*endfor"):
        Chat("{% for message in messages %}")


def test_pieces_are_what_is_read_and_what_the_assistant_writes():
    (pieces,) = Chat(CHATML).pieces([SYSTEM, USER, HELLO, MORE, BYE])
    assert pieces == [
        Piece(
            "<|im_start|>system\nBe <brief>.<|im_end|>\n<|im_start|>user\n Hi & bye <|im_end|>\n"
            "<|im_start|>assistant\n",
            False,
        ),
        Piece("Hello.<|im_end|>\n", True),
        Piece("<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\n", False),
        Piece("Bye.<|im_end|>\n", True),
    ]
    assert "".join(piece.text for piece in pieces) == Chat(CHATML).render([SYSTEM, USER, HELLO, MORE, BYE])


def test_turns_of_the_prompt_and_of_others_at_the_end_are_not_learned():
    messages = [USER, HELLO, MORE, BYE]
    (pieces,) = Chat(CHATML).pieces(messages, first=2)
    assert [piece.text for piece in pieces if piece.learned] == ["Bye.<|im_end|>\n"]
    assert pieces[0].text == Chat(CHATML).render(messages[:3], generate=True)
    assert Chat(CHATML).pieces([USER, HELLO, MORE]) == Chat(CHATML).pieces([USER, HELLO])
    assert Chat(CHATML).pieces([USER]) == []


def test_a_template_that_writes_earlier_turns_anew_gives_each_turn_its_own_text():
    think = {"role": "assistant", "content": "hm</think>Hello."}
    user = {"role": "user", "content": "Hi"}
    assert Chat(FORGETFUL).render([user, think, MORE, BYE]) == (
        "<user>Hi<end><assistant>Hello.<end><user>More<end><assistant>Bye.<end>"
    )
    assert Chat(FORGETFUL).pieces([user, think, MORE, BYE]) == [
        [Piece("<user>Hi<end><assistant>", False), Piece("hm</think>Hello.<end>", True)],
        [
            Piece("<user>Hi<end><assistant>Hello.<end><user>More<end><assistant>", False),
            Piece("Bye.<end>", True),
        ],
    ]


def test_a_template_that_shows_something_else_before_a_turn_is_refused():
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    template += "{% if add_generation_prompt %}[think]{% endif %}"
    with pytest.raises(ValueError, match="give prompt and completion as text"):
        Chat(template).pieces([USER, HELLO])
