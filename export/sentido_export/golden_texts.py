"""The golden texts: what goes wrong with text, each once.

Written for this purpose. Each bundle carries them with the answers that Keras gave.
"""

GOLDEN_TEXTS = (
    "",
    " ",
    "good",
    "Good.",
    "bad",
    "the",
    "not good",
    "This is a text",
    "This is not a text",
    "A wonderful film, warm and funny, with a cast that clearly loved making it.",
    "A dull, lifeless mess. I looked at my watch after ten minutes and then every five.",
    "It starts well, but the second half falls apart and the ending is an insult.",
    "I expected nothing and got one of the best evenings of the year.",
    "Not bad at all, and not boring either!",
    "The best thing about it is that it ends.",
    "10/10, would watch again; 1/10 for the popcorn.",
    "GREAT GREAT GREAT",
    "wonderful " * 30,
    "terrible " * 30,
    "good movie, bad movie, " * 2500,  # 10,000 words
    "word" * 5000,  # one word of 20,000 letters
    "zxqv wqxz qqqq xxyyzz",  # unknown words only
    "zxqv good wqxz",
    "!!! ??? ... ,,, ;;;",  # filtered away
    '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',  # every character that Keras filters
    "don't can't won't it's 'quoted' “curly” ‘quotes’",
    "well-made, so-so, state-of-the-art",
    "<br /><br />The plot<br />is <b>good</b> &amp; the acting <i>bad</i>.",
    '<script>alert("great")</script>',
    "https://example.org/great?film=bad&good#best",
    "tabs\tand\nnew lines\r\nand carriage\rreturns",
    "vertical\x0btab form\x0cfeed next\x85line",
    "no\u00a0break\u00a0space",  # Keras does not split here
    "ideographic\u3000space thin\u2009space",
    "zero\u200bwidth\u200dspace soft\u00adhyphen",
    "nul\x00byte and \x00 alone",
    "\ufeffa byte order mark at the start",
    "İstanbul'da ISPARTA ılık İyi",  # Turkish I: "İ" becomes two characters in lower case
    "STRASSE Straße GROẞ",
    "ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ",  # the last sigma of a word has another lower case
    "café cafe\u0301 naïve nai\u0308ve",  # composed and combining
    "ﬁne ﬂow Ǆ ǅ ǆ",  # ligatures and title case
    "Ⅷ ① ½ ²",
    "很好看的电影,我很喜欢。",
    "とても良い映画でした",
    "아주 좋은 영화",
    "фильм просто отличный ОТЛИЧНЫЙ",
    "فيلم رائع جدا",
    "סרט נהדר",
    "हिन्दी फ़िल्म बहुत अच्छी",
    "👍👍 great 😀 film 👨‍👩‍👧‍👦 🏳️‍🌈 ❤️",
    "𝓰𝓸𝓸𝓭 𝔟𝔞𝔡",  # outside the basic plane
    "  leading, trailing   and    many spaces  ",
)
