import json
import re
import string
from dataclasses import replace

import pytest

from heliosight.diagnosis import CHECKS
from heliosight.report import render
from heliosight.report.environment import TEMPLATES
from heliosight.report.inputs import LANGUAGES
from heliosight.report.wording import WORDS, Words

PAGES = ("", "issued.", "sealed.")
TABLES = {
    name: {
        key: text
        for page in PAGES
        for key, text in json.loads((WORDS / f"{page}{name}.json").read_text()).items()
    }
    for name in LANGUAGES
}


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_have_the_same_words():
    assert TABLES["en"].keys() == TABLES["ko"].keys()


@pytest.mark.parametrize("key", sorted(TABLES["en"]))
def test_the_same_placeholders_stand_in_every_language(key):
    assert _places(TABLES["en"][key]) == _places(TABLES["ko"][key])


def test_korean_sentences_are_korean():
    captions = [text for key, text in TABLES["ko"].items() if key.endswith("_caption")]
    assert captions
    assert all(re.search("[가-힣]", text) for text in captions)


def test_every_word_is_used():
    folder = TEMPLATES.parent
    files = [*folder.glob("*.py"), *TEMPLATES.glob("*.html")]
    source = "\n".join(path.read_text() for path in files)
    families = set(re.findall(r'["(]([a-z_]+[_.])" [+~]', source))
    families |= {name + "." for name in re.findall(r'\.name\("([a-z]+)"', source)}
    unused = [
        key
        for key in TABLES["en"]
        if not re.search(f"[\"']{key}[\"']", source)
        and not any(key.startswith(f) for f in families)
    ]
    computed = {
        f"training_{k}_caption" for k in ("loss", "gradient", "feature", "hidden_norm", "rate")
    }
    computed |= {key for key in unused if key.startswith("headline_")}
    assert set(unused) <= computed


def test_a_records_sentence_is_translated_or_stays_english(inputs, diagnosis):
    known = "Remove it: there is nothing to fix."
    assert re.search("[가-힣]", Words("ko").sentence(known) or "")
    assert Words("ko").sentence("another sentence") is None
    assert Words("en").sentence(known) is None
    first = diagnosis.findings[0]
    findings = (replace(first, action=known), *diagnosis.findings[1:])
    html = render(inputs(diagnosis=replace(diagnosis, findings=findings), language="ko"))
    assert known not in html
    assert '<span lang="en">question A1?</span>' in html


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("0 in fair proportion", "0개는 제 몫만큼"),
        (
            "4 of 4 ranges add information to newer ones (by a ridge probe); 0 in fair proportion",
            "범위 4개 중 4개가 더 새로운 프레임에 정보를 보탬(릿지 탐침 기준); 0개는 제 몫만큼",
        ),
        (
            "its fault is repaired already by branch_norm, carry_state",
            "그 문제는 이미 다음으로 수리됨: 가지마다 LayerNorm, 상태를 프레임마다 이어 주기",
        ),
        (
            "state not carried in cell.images.0",
            "영상 순환 셀: 은닉 상태가 다음 프레임으로 이어지지 않음",
        ),
        ("0 in fair proportion; something new", None),
        ("nobody knows 3 of it", None),
    ],
)
def test_sentences_keep_their_numbers_and_names(english, korean):
    assert Words("ko").sentence(english) == korean
    assert Words("en").sentence(english) is None


def test_sentences_have_the_same_places_in_both_languages():
    table = json.loads((WORDS / "sentences.ko.json").read_text())
    assert all(_places(english) == _places(korean) for english, korean in table.items())


def test_unknown_names_stand_as_they_are():
    assert Words("ko").name("system", "my model") == "my model"
    assert Words("en").name("score", "rmse") == "RMSE"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_question_of_the_diagnosis_is_asked_in_korean(check):
    assert Words("ko").sentence(check.question) is not None, check.question


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_rule_of_the_diagnosis_is_told_in_korean(check):
    assert Words("ko").sentence(check.rule) is not None, check.rule


@pytest.mark.parametrize(
    ("more", "korean"),
    [
        ("", ""),
        (" 1 question stays open.", " 답을 얻지 못한 질문이 1개 남았습니다."),
        (
            " Then: collapse in forecast, order blind in images and more. 3 questions stay open.",
            " 그다음: 예보: 예보가 붕괴함, 영상: 시간 순서를 모름 등."
            " 답을 얻지 못한 질문이 3개 남았습니다.",
        ),
    ],
)
def test_the_verdict_is_told_in_korean(more, korean):
    english = (
        "Fault: detached in images: no gradient comes back though the forecast moves with it. "
        "Remove the detach or no_grad between this input and the forecast."
    )
    told = Words("ko").sentence(english + more)
    assert told is not None and told.startswith("문제: 영상: 학습에서 끊김(detach). 이유: 예보가")
    assert told.endswith("없애십시오." + korean)


@pytest.mark.parametrize(
    "english",
    [
        "Fault: nobody in images: it moves. Do it.",
        "Fault: detached in images: unknown. Do it.",
        "Fault",
    ],
)
def test_a_verdict_with_unknown_words_stays_english(english):
    assert Words("ko").sentence(english) is None
    assert Words("en").sentence(english) is None


def test_no_two_sentences_differ_by_their_places_alone():
    table = json.loads((WORDS / "sentences.ko.json").read_text())
    assert len({re.sub(r"{\w+}", "{}", english) for english in table}) == len(table)


@pytest.mark.parametrize(
    "english",
    [
        "what the others say of it goes with it by 0.91; in 6 spans of the other windows by "
        "0.88 to 0.93: it has parted from the others; the forecast does not move with it",
        "it arrives on another scale: times 2.1 it would be on the old one, which moves the "
        "forecast by 0.2 of its variance",
        "used, but a gain of skill is not resolved; not resolved: p 0.03 among 8 questions of T11",
        "No fault found. Unused without loss: images. 2 questions stay open.",
        "the fault is gone in 3 of 3 seeds, 2 with a control, "
        "a random remedy whose error is higher",
        "skill falls without it (by day: +0.1, +0.2; at its best amplitude 0.3 [0.2, 0.4]; "
        "shuffled in time 0.6 [0.5, 0.7])",
    ],
)
def test_reasons_of_several_pieces_are_told_in_korean(english):
    told = Words("ko").sentence(english)
    assert told is not None and re.search("[가-힣]", told)
    assert "images" not in told
