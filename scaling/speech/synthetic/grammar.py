"""The texts of synthetic corpora: small context-free grammars, Mandarin and English, with Zipf-weighted choices.

They were written for this project, so that no licence of a corpus applies. Characters that espeak-ng spells out in
English instead of reading them (measured: 雄凶胸兄穷窘熊匈穹琼邛迥汹囧兒跫) are left out.
"""

import bisect
import functools
import re
from dataclasses import dataclass

import numpy as np

START = "sentence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Alternatives, most frequent first: the k-th is drawn with weight k ** -zipf (0: all are equally likely).

    `{name}` inside an alternative stands for a draw from the rule of that name.
    """

    name: str
    alternatives: tuple[str, ...]
    zipf: float = 1.0  # assumption: the exponent of word frequencies in natural text

    def weights(self) -> np.ndarray:
        """The probability of each alternative."""
        weights: np.ndarray = np.arange(1, len(self.alternatives) + 1, dtype=float) ** -self.zipf
        return np.asarray(weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> str:
        """One alternative."""
        return self.alternatives[bisect.bisect(_cumulative_weights(self), rng.random())]


@functools.cache
def _cumulative_weights(rule: Rule) -> list[float]:
    """The distribution function over the alternatives; `Generator.choice` would compute it at every draw."""
    sums = np.cumsum(rule.weights())
    return list((sums / sums[-1]).tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """Rules by name; a sentence is a draw from the rule `sentence`."""

    rules: tuple[Rule, ...]

    def draw(self, rng: np.random.Generator) -> str:
        """One sentence.

        >>> ZH_DIGITS.draw(np.random.default_rng(0))
        '二零零八九六'
        """
        return self._expand(f"{{{START}}}", {rule.name: rule for rule in self.rules}, rng)

    def alphabet(self) -> frozenset[str]:
        """Every character that a sentence can contain."""
        return frozenset("".join(re.sub(SLOT, "", text) for rule in self.rules for text in rule.alternatives))

    def _expand(self, template: str, rules: dict[str, Rule], rng: np.random.Generator) -> str:
        def drawn(slot: re.Match[str]) -> str:
            return self._expand(rules[slot.group(1)].draw(rng), rules, rng)

        return re.sub(SLOT, drawn, template)


SLOT = r"\{(\w+)\}"


def digit_strings(digits: Rule, shortest: int, longest: int, separator: str = "") -> Grammar:
    """Strings of digits; every length from `shortest` to `longest` and every digit is equally likely."""
    slot = f"{{{digits.name}}}"
    lengths = tuple(separator.join([slot] * length) for length in range(shortest, longest + 1))
    return Grammar(rules=(Rule(name=START, alternatives=lengths, zipf=0), digits))


def _rule(name: str, text: str, zipf: float = 1.0, separator: str | None = None) -> Rule:
    return Rule(name=name, alternatives=tuple(text.split(separator)), zipf=zipf)


ZH_DIGIT = _rule("digit", "零 一 二 三 四 五 六 七 八 九", zipf=0)
EN_DIGIT = _rule("digit", "zero one two three four five six seven eight nine", zipf=0)

ZH_DIGITS = digit_strings(ZH_DIGIT, 3, 7)
EN_DIGITS = digit_strings(EN_DIGIT, 3, 7, separator=" ")
ZH_DIGITS_FROM_ONE = digit_strings(ZH_DIGIT, 1, 7)
EN_DIGITS_FROM_ONE = digit_strings(EN_DIGIT, 1, 7, separator=" ")

ZH = Grammar(
    rules=(
        _rule(START, "{command} {time} {number} {date} {money} {call} {ask}", zipf=0.5),
        ZH_DIGIT,
        _rule("unit", "一 二 三 四 五 六 七 八 九", zipf=0.5),
        _rule("tens", "十{unit} 二十 三十 二十{unit} 五十 四十{unit} 六十 八十{unit} 九十"),
        _rule("hour", "八 九 十 三 两 七 五 六 四 一 十一 十二", zipf=0.5),
        _rule("part", "上午 下午 晚上 早上 中午 凌晨"),
        _rule("time", "{part}{hour}点 {part}{hour}点半 {part}{hour}点{tens}分 {hour}点{tens}分 {hour}点一刻"),
        _rule("number", "{digit}{digit}{digit} {digit}{digit}{digit}{digit} {digit}{digit}{digit}{digit}{digit}"),
        _rule("month", "五 十 一 六 九 三 八 二 七 十二 四 十一", zipf=0.5),
        _rule("day", "{unit}号 {tens}号 十号"),
        _rule("weekday", "一 五 六 天 二 三 四", zipf=0.5),
        _rule("date", "{month}月{day} 星期{weekday} 二零{digit}{digit}年{month}月{day} 下个星期{weekday}"),
        _rule("amount", "{tens} {unit}百 {unit}百{tens} {unit}千 {unit}万 {unit}千{unit}百"),
        _rule("money", "{amount}块 {amount}元 {unit}块{unit}毛 {amount}块钱 一共{amount}元"),
        _rule("place", "客厅 卧室 厨房 书房 阳台"),
        _rule("device", "灯 空调 电视 窗帘 风扇 音箱 热水器"),
        _rule(
            "command",
            "打开{place}的{device} 关掉{device} 把{device}打开 播放{music} 导航到{city} 设置{time}的闹钟 声音大一点",
        ),
        _rule("music", "音乐 新闻 流行歌曲 古典音乐 儿童故事"),
        _rule("city", "北京 上海 广州 深圳 杭州 南京 成都 武汉 西安 天津"),
        _rule("family", "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙"),
        _rule("given", "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 涛 明 超"),
        _rule("person", "{family}{given} {family}{given}{given} {family}老师 {family}医生 妈妈 爸爸"),
        _rule("call", "给{person}打电话 发短信给{person} 提醒我联系{person} 我找{person}"),
        _rule("coming", "明天 今天 后天 周末"),
        _rule("ask", "{coming}{city}天气怎么样 现在几点了 {city}到{city}多远 {coming}会下雨吗"),
    )
)

EN = Grammar(
    rules=(
        Rule(
            name=START,
            alternatives=("{command}", "{time}", "{number}", "{date}", "{money}", "{call}", "{ask}"),
            zipf=0.5,
        ),
        EN_DIGIT,
        _rule("unit", "one two three four five six seven eight nine", zipf=0.5),
        _rule("tens", "twenty|ten|thirty|fifty|forty|fifteen|twenty {unit}|sixty|eighty|ninety", separator="|"),
        _rule("number", "{digit} {digit} {digit}|{digit} {digit} {digit} {digit}", separator="|"),
        _rule("hour", "nine eight ten three two seven five six four one eleven twelve", zipf=0.5),
        _rule("part", "in the morning|in the afternoon|tonight|at night", separator="|"),
        _rule("time", "{hour} {tens}|half past {hour}|{hour} o'clock|{hour} {part}|quarter to {hour}", separator="|"),
        _rule("month", "may october january june september march august july december april", zipf=0.5),
        _rule("day", "first|second|third|fifth|tenth|twelfth|twentieth|twenty third|thirtieth", separator="|"),
        _rule("weekday", "monday friday saturday sunday tuesday wednesday thursday", zipf=0.5),
        _rule("date", "{month} {day}|{weekday}|next {weekday}|the {day} of {month}", separator="|"),
        _rule("money", "{tens} dollars|{unit} dollars|{unit} hundred dollars|{tens} cents", separator="|"),
        _rule("place", "kitchen bedroom hall garden office"),
        _rule("device", "light heater television fan radio lamp"),
        _rule(
            "command",
            "turn on the {place} {device}|turn off the {device}|play {music}|go to {city}|wake me at {hour}|louder",
            separator="|",
        ),
        _rule("music", "music|the news|jazz|a story", separator="|"),
        _rule("city", "london paris boston berlin dublin madrid"),
        _rule("person", "anna peter mary david sarah martin laura james"),
        _rule("call", "call {person}|send {person} a message|remind me to call {person}", separator="|"),
        _rule("coming", "today tomorrow tonight"),
        _rule("ask", "what time is it|will it rain {coming}|how far is {city}", separator="|"),
    )
)
