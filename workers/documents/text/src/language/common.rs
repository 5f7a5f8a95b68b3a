//! Words that nearly every sentence of a language has some of, for texts too short for anything
//! else.

/// The commonest words of some languages; those that several share tell nothing.
const COMMON: &[(&str, &str)] = &[
    (
        "en",
        "the and of to is are that for we you they with this he she it who your not from there have be will",
    ),
    (
        "de",
        "der die das und ist nicht sie ich wir ihr den dem des ein eine mit für auf von zu bitte wird sind am im",
    ),
    (
        "fr",
        "le la les et est des une dans vous nous pour que qui avec sur pas il elle au aux du veuillez votre vos ce",
    ),
    (
        "es",
        "el la los las y es que por para una con del su sus al lo no se está le",
    ),
    (
        "it",
        "il lo la gli e di che è per una con del della si non sono alla nel le i ed ha",
    ),
    (
        "pt",
        "o a os as e de que não para uma com do da em por seu sua ao é seus no na",
    ),
    (
        "nl",
        "de het een en van is dat niet voor met op zijn naar uw we ik te worden in aan die alstublieft",
    ),
];

/// Whether a word in small letters is one of the commonest of a language.
pub(crate) fn is_common(word: &str, language: &str) -> bool {
    COMMON
        .iter()
        .any(|(known, common)| *known == language && common.split(' ').any(|one| one == word))
}

/// The language of at least two common words, if each other language has fewer.
pub(super) fn vote(sample: &str) -> Option<&'static str> {
    let words: Vec<String> = sample
        .split(|character: char| !character.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let votes = |common: &str| {
        let is_common = |word: &&String| common.split(' ').any(|other| other == **word);
        words.iter().filter(is_common).count()
    };
    let mut counts: Vec<(usize, &'static str)> = COMMON
        .iter()
        .map(|(language, common)| (votes(common), *language))
        .collect();
    counts.sort_unstable_by(|left, right| right.cmp(left));
    match counts.as_slice() {
        [(most, language), (next, _), ..] if *most >= 2 && most > next => Some(language),
        _ => None,
    }
}
