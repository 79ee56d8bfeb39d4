"""The words from which the sample's invented titles are put together.

A title is opening + name + ending, drawn independently, so each list keeps to one gender and case of its
language. Any likeness to a real title is chance.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One manner of titles; its shares are weights, for episodes and for all other types."""

    share: int
    episode_share: int
    openings: tuple[str, ...]
    names: tuple[str, ...]
    endings: tuple[str, ...]


def _family(share: int, openings: str, names: str, endings: str) -> Family:
    """Split openings and endings at `|` (their outer spaces count), and names at white space."""
    # A third of the titles end with their name.
    bare = ("",) * (endings.count("|") // 2)
    return Family(
        share=share,
        episode_share=share,
        openings=tuple(openings.split("|")),
        names=tuple(names.split()),
        endings=(*bare, *endings.split("|")),
    )


ENGLISH = _family(
    600,
    "The |The |The |The |One |My |Our |Her |His |Under the |Beyond the |Return of the |The Last |The First "
    "|The Quiet |The Crooked |The Borrowed |The Paper |The Copper |The Velvet |The Hollow |The Winter "
    "|The Salt |The Second |The Wandering |The Unlikely |The Forgotten |The Seventh |The Midnight "
    "|The Accidental |No |Every |Another |Goodbye, |Hello, |Finding the |Chasing the |Waiting for the "
    "|Who Stole the |How to Paint the |Letters from the |Songs of the |Children of the |Notes on the "
    "|Beneath the |Across the |Dear |Little |Big |Old |Mad |Silent |Burning |Broken |Golden |Scarlet "
    "|Electric |Inside the |After the |Before the |Behind the |Beware the |Escape from the |Secrets of the "
    "|Legend of the |Night of the |Curse of the |Brother |Captain |Doctor |24 Hours in the "
    "|1,000 Miles to the |Room 12: The |Mr. |Miss |Don't Wake the |It's Only a |We, the ",
    "Lanternfish Orchard Harbour Ferryman Clockmaker Beekeeper Lighthouse Gravel Meridian Sparrow Teapot "
    "Violinist Cartographer Quarry Marmalade Windmill Typist Gardener Umbrella Compass Tailor Glacier "
    "Pharmacist Chessboard Meadow Smuggler Postcard Baker Locksmith Thunder Astronomer Ropewalker "
    "Stowaway Cellar Marigold Tramway Archivist Bluebell Foundry Glassblower Hedgehog Inkwell Juggler "
    "Kite Librarian Magpie Nightshift Oarsman Puppeteer Quicksand Raincoat Saltworks Timekeeper Undertow "
    "Ventriloquist Weathervane Xylophone Yardmaster Zeppelin Accordion Bricklayer Canal Dockyard "
    "Elevator Fishmonger Greenhouse Haystack Icebreaker Jackdaw Kettle Ledger Milkman Notary Observatory "
    "Pendulum Quilt Reservoir Signalman Tollbooth Understudy Viaduct Wheelwright Yarn Almanac Barometer "
    "Crossroads Driftwood Estuary Foghorn Gazebo Hourglass Ivory Jetty Keyhole Lullaby Monsoon Nettle "
    "Outpost Parlour Rooftop Staircase Turnstile Upland Veranda Whistle Avalanche Bonfire Caravan Dynamo "
    "Envoy Falcon Gambler Horizon Isthmus Juror Kingfisher Lagoon Mirror Nomad Outrigger Prophet Regatta "
    "Sheriff Tempest Vow Warden Colonel Detective Empire Fortress General Highwayman Inspector Jungle "
    "Planet Robot Samurai Spyglass Vineyard Witness Dragonfly Castle River Mountain Ocean Bridge Summer "
    "Heart Garden House Road Train Piano Moon Star City Village Wizard Cowboy Marathon Submarine "
    "Cathedral Blizzard Carnival Embassy Rebel",
    "| of Salt| of Ash Lane| of the North| of Ten Rivers| in the Rain| in Winter| in Love| at Midnight"
    "| at Noon| by the Sea| on Fire| on the Hill| Without Sleep| for Sale| and the Moon| and Me| & Sons"
    "| & Daughters| 2| 3| II| III| IV| 2077| 1907| 1968| No. 5|: The Beginning|: Part One|: Part 2"
    "|: A Love Story|, My Love|, Again|'s Wife|'s Apprentice|'s Daughter|?|!|...| vs. the Tide| Goes West"
    "| Never Sleeps| Inc.| from Nowhere| Under Glass| Revisited| Forever| Rides Again| Takes a Holiday"
    "| Diaries| Tapes| Protocol| Incident| Affair",
)
FRENCH = _family(
    60,
    "Le |Un |Mon |Notre |Ce |Le dernier |Le premier |Le petit |Le grand |Le vieux |L'étrange |La nuit du "
    "|Le secret du |Le retour du |À cause du |Au bord du |La fille du |Où va le |Pas de |Sans |Cher "
    "|À côté du ",
    "boulanger jardin fleuve théâtre château forgeron marché vélo grenier phare pêcheur miroir rêve "
    "trésor brouillard voisin silence cœur navire libraire tramway carnet facteur berger désert quai "
    "rivage témoin potager maçon",
    "| de minuit| à Besançon| sans étoiles| en hiver| et la mer| des neiges| d'été| bleu| perdu| oublié"
    "|, mon amour| a disparu| & Cie| n'aime personne| 2",
)
SPANISH = _family(
    70,
    "El |Un |Mi |Nuestro |Aquel |El último |El pequeño |El extraño |La noche del |El secreto del "
    "|El regreso del |La canción del |Adiós al |Érase un |Sin |¡Viva el |Más allá del ",
    "río jardín molino panadero relojero corazón camión naufragio sueño pájaro limón tejado vecino "
    "verano campanario zapatero túnel niño océano árbol payaso cartógrafo cuaderno faro huracán bandoneón",
    "| de sal| en otoño| sin dueño| de la montaña| perdido| azul| y la niña| del señor Núñez"
    "| que no volvió| en Logroño| bajo la lluvia| 2|!|, te quiero",
)
GERMAN = _family(
    60,
    "Der |Ein |Mein |Unser |Kein |Jener |Der letzte |Der stille |Der fröhliche |Der müde |Der gläserne "
    "|Der falsche |Der zweite |Der große |Der blaue |Ein schöner |Wo ist der |Tschüß, ",
    "Gärtner Bäcker Leuchtturm Uhrmacher Fährmann Schlüssel Brückenbau Koffer Nachbar Hafen Müller "
    "Türsteher Schneesturm Apfelbaum Straßenkehrer Flüsterer Kapitän Dachboden Mühlenteich Regenschirm "
    "Bahnhof Spiegel Käfer Donaudampfschifffahrtskapitän",
    "| im Schnee| von Görlitz| ohne Schatten| und das Mädchen| am Fluss| über Köln| kehrt zurück"
    "| schläft nicht|, bitte!| 2| für Anfänger| aus Thüringen| & Söhne",
)
POLISH = _family(
    25,
    "Ostatni |Pierwszy |Mój |Nasz |Cichy |Zaginiony |Szklany |Śpiący |Drugi |Zielony |Żelazny |Świąteczny |Każdy ",
    "most ogród zegarmistrz piekarz księżyc dąb łowca młyn pociąg żołnierz świadek śnieg wąwóz sąsiad "
    "chłopiec dzień cień gołąb wróbel kapelusz",
    "| z Łodzi| nad Wisłą| bez końca| i morze| w Gdyni| o północy| pana Źdźbło| nie śpi| 2| mojej siostry|, proszę",
)
TURKISH = _family(
    25,
    "Son |Bir |Kara |Benim |Küçük |Büyük |Sessiz |Kayıp |Eski |Güzel |Üçüncü |İlk |Yeşil |Uzak ",
    "Bahçe Köprü Değirmen Balıkçı Güneş Yağmur Deniz Işık Gölge Çocuk Şarkı Şehir Rüzgâr Kuş Yıldız Gemi "
    "Fener Köy Ağaç İstasyon Saatçi Fırıncı",
    "| ve Ay| 2| Gibi| İçin| Olmadan| Nerede?| Uyumaz| Var mı?| İzmir'de| Iğdır'da",
)
RUSSIAN = _family(
    35,
    "Последний |Первый |Мой |Наш |Тихий |Старый |Стеклянный |Зелёный |Далёкий |Чужой |Снежный |Ночной |Весёлый ",
    "мост сад часовщик пекарь маяк поезд чемодан сосед фонарь капитан берег дождь вокзал ветер дом "
    "мельник ёжик чердак садовник почтальон колокол",
    "| без сна| и море| у реки| из Твери| возвращается| в снегу| на рассвете|-2| моей бабушки|. Часть вторая| № 7",
)
GREEK = _family(
    10,
    "Ο |Ένας |Ο τελευταίος |Ο μικρός |Ο παλιός |Ο ξένος |Ο σιωπηλός |Ο χαμένος |Ο πρώτος ",
    "κήπος φάρος ωρολογοποιός ψαράς γείτονας δρόμος άνεμος ήλιος ποταμός καπετάνιος καθρέφτης φούρναρης ουρανός",
    "| της θάλασσας| και η νύχτα| χωρίς όνειρα| στη βροχή| του χειμώνα| από τη Χίο| 2| επιστρέφει",
)
ARABIC = _family(
    12,
    "ليلة |حارس |صديق |سر |عودة |أغنية |بيت |ظل |طريق |حكاية ",
    "النهر البستان البحر الجسر القمر المطر الخباز الصياد النجوم المدينة الجبل الريح الحديقة المنارة القطار",
    "| والبحر| في الشتاء| 2| من جديد| بلا نوم| في حلب|؟",
)
HEBREW = _family(
    8,
    "הלילה של |הסוד של |הבית של |השיר של |בדרך אל |לפני |אחרי ",
    "הנהר הגן הגשר השען האופה המגדלור הים הירח הרוח השכן הרכבת הגשם",
    "| בחורף| והים| בחיפה| 2| שוב| ללא שינה",
)
HINDI = _family(
    15,
    "आखिरी |पहला |मेरा |हमारा |पुराना |नया |छोटा |खोया |अनोखा ",
    "पुल बगीचा घड़ीसाज़ दीपक पड़ोसी जहाज़ मौसम सपना रास्ता शहर पहाड़ आसमान",
    "| और चाँद| 2| की कहानी| के पार| में बारिश| का राज़",
)
JAPANESE = _family(
    30,
    "最後の|静かな|小さな|消えた|青い|ぼくの|わたしの|真夜中の|硝子の|遠い|さよなら、",
    "橋 庭 灯台 時計屋 パン屋 海辺 列車 月夜 傘 隣人 風車 図書館 港町 ピアノ 雪道",
    "|の歌|と海|2|物語|の秘密|〜冬の章〜|！| 第二部",
)
CHINESE = _family(
    20,
    "最后的|安静的|我的|消失的|蓝色|午夜的|玻璃|遥远的|小小|寻找",
    "桥 花园 灯塔 钟表匠 面包师 海岸 列车 月光 雨伞 邻居 风车 图书馆 港口 钢琴 雪路",
    "|之歌|与海|2|的故事|的秘密|：归来|！|传说",
)
KOREAN = _family(
    15,
    "마지막 |조용한 |나의 |사라진 |푸른 |한밤의 |유리 |먼 |작은 |안녕, ",
    "다리 정원 등대 시계공 제빵사 바닷가 기차 달빛 우산 이웃 풍차 도서관 항구 피아노 눈길",
    "|의 노래| 2| 이야기|의 비밀|: 귀환|!| 전설",
)
NUMBERED_EPISODES = Family(
    share=0,
    episode_share=1_000,
    openings=tuple(f"Episode #{season}." for season in range(1, 31)),
    names=tuple(str(episode) for episode in range(1, 131)),
    endings=("",),
)
# Whole titles that careless readers take for a null, a number or a date.
LOOKALIKES = Family(
    share=10,
    episode_share=2,
    openings=(
        *("NA", "null", "None", "nan", "N/A", "1984", "-") * 2,
        *("NULL", "NaN", "0", "1e5", "inf", "True", "2012-01-01"),
    ),
    names=("",),
    endings=("",),
)

FAMILIES = (
    *(ENGLISH, FRENCH, SPANISH, GERMAN, POLISH, TURKISH, RUSSIAN, GREEK, ARABIC, HEBREW, HINDI),
    *(JAPANESE, CHINESE, KOREAN, NUMBERED_EPISODES, LOOKALIKES),
)

_LONG = "{}: or, the True and Unlikely History of What Befell Them on the Road There" + ", and Back" * 20

# `{}` stands for the title. Each is of a kind that breaks a careless reader, LIKE, page or spreadsheet.
FRAMES = (
    *('"{}"', '"{}', '{}"', '"Hurry, {}', 'The "{}" Case', "'{}", "'{}'; --", "{}, {}, {}", "{} & {}", _LONG),
    *("100% {}", "{} (50%)", "{}_final_cut", "C:\\{}", "{}\\", "{} / {}", "<b>{}</b>", "={}", "@{}", "#{}"),
    *("{} 🎬", "❤️ {}", "{} 👩‍🚀🇵🇱"),
)
