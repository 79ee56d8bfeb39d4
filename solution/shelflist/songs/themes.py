"""What lyric words are about: short lists of stems by theme and of function words by language, written by hand.

They stand for knowledge that a few hundred songs cannot teach: a model that learns single words from so few artists
learns the artists. Stems are in the form of the musiXmatch lyrics data (Porter's, so `babi` and `lonesom`).
"""

THEMES: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "violence": """kill murder blood bleed bled gun war fight weapon knife violenc violent destroy destruct destroi
            slaughter slay victim enemi attack bomb bullet crush smash tortur wound brutal battl armi soldier sword
            shoot shot strike slain hunt prey rage wrath hatr hate reveng vengeanc""",
        "death": """death dead die dead grave buri corps funer coffin tomb skull bone suicid mortal eternal etern
            immort ghost spirit flesh rot decay wither perish doom demis dust ash ashes remain""",
        "darkness": """dark shadow black evil devil satan demon hell damn curs fear terror horror scream shriek
            nightmar beast serpent abyss void chao fate sin blind pain suffer agoni torment despair sorrow
            miseri torn insan mad madness cold burn flame fire inferno silenc veil throne unholi""",
        "profanity": """fuck fuckin fucker fucked motherfuck motherfuckin shit bullshit bitch ass asshol bastard piss
            cunt dick cock pussi whore slut crap suck damn goddamn nigga nigger hoe""",
        "dissent": """polic polit politician system societi govern law nation countri flag crowd riot revolt revolut
            anarchi punk skinhead class worker work job boss factori school kid rebel street scene fascist nazi
            control power lie truth media tv televis money rich poor prison jail vote presid slave oi""",
        "romance": """love lover heart kiss babi darl darlin honey sweet sweetheart dear hug embrac arm tender forev
            promis marri true belong ador desir miss together togeth charm lip valentin girl boy""",
        "longing": """cri tear lone lonesom broken goodby leav left gone forget rememb memori sad sorri wait
            blue heartach alone regret apart hurt""",
        "dancing": """danc dancin dancer floor dj club beat groov funki funk disco parti move bodi shake rhythm music
            boogi jam bass pump jump rock roll swing bounc sexi hot tonight clap""",
        "machines": """machin robot electr comput digit electron system program space star planet galaxi satellit
            rocket radio signal video technolog future futur time light neon citi energi sound""",
        "reggae": """jah babylon rasta rastafari natti dread dreadlock zion lion selassi irie ganja herb ital kingston
            jamaica jamaican reggae trenchtown roots natur nah dat unto oppress wick iya inna seh bwoy gwaan righteous
            judgement""",
        "faith": """lord god jesus christ holi heaven angel pray prayer soul church bless gospel hallelujah amen
            glori sinner bibl faith save saviour savior cross hymn preacher miracl mari bethlehem""",
        "nature": """river mountain hill valley tree forest wood field meadow wind rain snow sea ocean shore sand
            water stream leav flower rose bird blackbird wing sky sun summer winter autumn spring moon stone garden
            green grass earth wild wave dawn morn cloud""",
        "ballads": """king queen ladi maid maiden lad lass lassi captain sailor ship sail harbour port farmer farm
            miller shepherd soldier drum bonni fair gold silver lord knight castl wed bride widow cradl mother father
            daughter son brother sister ireland irish dublin scotland gallant whiskey fiddl jig piper tinker""",
        "country": """road train wagon truck highway railroad texa tennesse kentucki georgia carolina alabama
            virginia cowboy hors dusti cabin porch whiskey barn ranch guitar banjo town home ramblin
            travel wander gambl moonshin creek prairi""",
        "moonlight": """moonlight moon star starlight dream stardust bewitch whisper romanc divin heavenli
            lullabi paradis enchant rainbow waltz melodi serenad april june paris cafe autumn delight
            foolish fool affair embrac cling glow fanci swell marvel sublim""",
        "blues": """blue woman mama papa babi honey mister jelli evil troubl worri lonesom mojo juke
            hound mississippi chicago memphi gambl hoodoo boogi levee whiskey lowdown lord howl crawl
            mornin goin comin nothin cryin gonna ai""",
        "soul": """soul babi sugar brother sister groov funki ooh mm hmm mmm lovin givin thang feelin feel need right
            sho gotta lawd natur sexual respect grind ebony black queen peopl uh huh yeah""",
        "rap": """nigga mc mic rhyme rap flow hustl hood ghetto dollar cash gangsta homi dope crew cuz wit tha
            chill block""",
        "teenage": """girl boy teenag school kid summer car drive radio crush cool pretti cute boyfriend girlfriend
            phone call dress shoe parti mom dad bore stupid weird tv guitar band""",
        "syllables": """na ooh oh ah hey yeah whoa woah doo dum sha uh mmm hmm ha shoop bop wop du ba ey
            yea""",
        "colloquial": """gonna wanna gotta ai caus cuz til em yeah goin comin nothin somethin feelin lovin livin
            lookin gettin makin tryin talkin walkin doin runnin kinda outta whatcha gimm ya""",
        "archaic": """thou thee thi thine ye hath doth shall unto upon o'er nay amid beneath yonder twas whom
            whilst behold forth nor oft hither realm""",
        "abstract": """realiti exist human human mankind conscious mind reason illus vision percept
            infinit univers dimens ident religion innoc justic freedom liberti destini consequ
            surviv struggl believ deni betray deceiv corrupt""",
    }.items()
}
"""Theme -> stems."""

LANGUAGES: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "english": """i the you to and it not in my is of your that do on are we am will all for be have so know this
            but with what just when like now time can come they if he was she her his our from would as at how by
            there or an were who them been their him where has than could about""",
        "spanish": """que de la y en un el te tu mi yo le si lo con sin una ti para los las como por del ya es
            se amor todo quiero corazón vida más ni al ella cuando porqu muy pero eso esta está nada siempr hay sus
            quién soy tú él sé qué dónde así""",
        "french": """je tu il ell nous vous les des du et une est dan pas que qui sur au aux ce cet mon ton son ma ta sa
            mes tes ses leur où avec pour plus comm tout mai quand j'ai c'est n'est qu'on d'un sui ai être fait
            rien encor toujour jamai moi toi lui y'a""",
        "portuguese": """não você eu meu minha uma um os em no na seu sua pra com é são tão mai quem nem ser
            coração também só já até vou foi ela ele isso""",
        "italian": """che di il non è per mi ti si un una sono ho hai amor come con del della nel più questo quello ma
            anch io ci noi cosa tutto senza ancora perché""",
        "german": """ich du der die das und nicht ein ist wir ihr sie mit auf von den dem zu so im wie mich dich mein
            dein kein was wenn noch nur auch hab bin bist sind für aus doch""",
        "nordic": """jag och det som är på att inte för den har av vi dig mig ett jeg ikke og på er til med han hun
            minä olen että ei on se kun niin""",
    }.items()
}
"""Language -> its commonest function words, stemmed like the tags."""
