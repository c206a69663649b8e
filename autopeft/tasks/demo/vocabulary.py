"""The words of the demo grammar. In every group of wordings, all say the same; the groups of one table say different things."""

# Persons, deeds and things that each go by two names.
SOMEONE = (
    ("doctor", "physician"), ("lawyer", "attorney"), ("teacher", "schoolteacher"), ("singer", "vocalist"), ("writer", "author"),
    ("child", "kid"), ("boss", "manager"), ("policeman", "cop"), ("priest", "clergyman"), ("farmer", "grower"),
    ("sailor", "seaman"), ("soldier", "trooper"),
)  # fmt: skip

SOMETHING = (
    ("car", "automobile"), ("bike", "bicycle"), ("sofa", "couch"), ("phone", "telephone"), ("photo", "photograph"),
    ("plane", "airplane"), ("rug", "carpet"), ("gift", "present"), ("movie", "film"), ("house", "home"), ("boat", "ship"),
    ("shop", "store"),
)  # fmt: skip

DEEDS = (
    ("bought", "purchased"), ("sold", "marketed"), ("likes", "enjoys"), ("repaired", "fixed"), ("wants", "desires"),
    ("destroyed", "wrecked"), ("described", "portrayed"), ("lost", "misplaced"),
)  # fmt: skip

# Persons and things that go by one name.
PEOPLE = ("baker", "pilot", "nurse", "painter", "plumber", "judge", "miner", "poet", "tailor", "guard", "king", "boy")

THINGS = ("clock", "piano", "lamp", "violin", "camera", "ladder", "mirror", "tent", "guitar", "book", "coat", "table")

# Transitive verbs whose past is also their participle.
ACTIONS = (
    ("praised", "applauded"), ("helped", "assisted"), ("warned", "alerted"), ("hired", "employed"), ("followed", "trailed"),
    ("phoned", "called"), ("insulted", "offended"), ("rescued", "saved"), ("blamed", "accused"), ("tricked", "fooled"),
    ("married", "wedded"), ("greeted", "welcomed"),
)  # fmt: skip

# Two opposite qualities a line.
QUALITIES = (
    (("large", "big"), ("small", "little")),
    (("fast", "quick"), ("slow", "sluggish")),
    (("quiet", "silent"), ("loud", "noisy")),
    (("clean", "spotless"), ("dirty", "filthy")),
    (("old", "ancient"), ("new", "modern")),
    (("cheap", "inexpensive"), ("costly", "expensive")),
    (("lovely", "beautiful"), ("ugly", "hideous")),
    (("fragile", "delicate"), ("sturdy", "robust")),
)

COMPARATIVES = (
    ("taller", "shorter"), ("older", "younger"), ("stronger", "weaker"), ("richer", "poorer"),
    ("faster", "slower"), ("happier", "sadder"), ("louder", "quieter"), ("heavier", "lighter"),
)  # fmt: skip

# Past and base form of two deeds of which exactly one happens.
OPPOSITES = (
    (("accepted the offer", "accept the offer"), ("refused the offer", "refuse the offer")),
    (("passed the exam", "pass the exam"), ("failed the exam", "fail the exam")),
    (("won the game", "win the game"), ("lost the game", "lose the game")),
    (("kept the promise", "keep the promise"), ("broke the promise", "break the promise")),
    (("told the truth", "tell the truth"), ("told a lie", "tell a lie")),
    (("remembered the meeting", "remember the meeting"), ("forgot the meeting", "forget the meeting")),
    (("stayed at home", "stay at home"), ("left home", "leave home")),
    (("found the keys", "find the keys"), ("lost the keys", "lose the keys")),
)

TIMES = (
    ("at noon", "at midday"), ("at dawn", "at sunrise"), ("at dusk", "at sunset"), ("at midnight", "at twelve at night"),
    ("in autumn", "in the fall"), ("every week", "weekly"), ("every year", "annually"), ("every day", "daily"),
    ("on Christmas Eve", "on December 24"), ("two weeks ago", "a fortnight ago"),
)  # fmt: skip

PLACES = (
    ("in the garden", "in the yard"), ("at the shop", "in the store"), ("in the woods", "in the forest"),
    ("in the street", "on the road"), ("by the sea", "on the coast"), ("in the cinema", "at the movies"),
    ("in the city", "in town"), ("on the ship", "aboard the vessel"),
)  # fmt: skip
