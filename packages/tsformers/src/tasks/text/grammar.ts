import { foldIn, randomKey, uniform } from "@tsformers/engine";

/** Picks one of some alternatives, with equal probability. */
type Choose = <T>(alternatives: readonly T[]) => T;

/** The subject of a paragraph, which stays the same throughout: a model that looks further back can predict more. */
type Scene = { readonly hero: string; readonly friend: string; readonly place: string; readonly thing: string };

/** Who the text is about. */
export const names = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kim", "Leo"] as const;
const places = ["forest", "harbour", "castle", "garden", "market", "valley", "library", "island"] as const;
const things = ["lantern", "map", "bell", "ring", "kite", "drum", "letter", "basket"] as const;
const adjectives = ["old", "small", "red", "quiet", "strange", "golden", "heavy", "lost"] as const;
const adverbs = ["slowly", "at once", "with care", "in the rain", "before noon", "again"] as const;

/**
 * English-like text from a small probabilistic grammar: `Ben went to the old castle with Eva. …`
 *
 * Each paragraph keeps its hero, friend, place and thing, which can only be predicted from earlier text of the paragraph.
 * Equal arguments give equal text on every machine.
 *
 * @param options.characters length of the text. Default: 200,000
 * @param options.seed Default: 0
 */
export function grammarText(options: { characters?: number; seed?: number } = {}): string {
  const { characters = 200_000, seed = 0 } = options;
  const seedKey = randomKey(seed);
  let text = "";
  for (let index = 0; text.length < characters; index++) {
    const draws = uniform(foldIn(seedKey, index), [256]).toNumbers();
    let next = 0;
    text += paragraph((alternatives) => alternatives[Math.floor(draws[next++ % draws.length]! * alternatives.length)]!);
  }
  return text.slice(0, characters);
}

function paragraph(choose: Choose): string {
  const hero = choose(names);
  const friend = choose(names.filter((name) => name !== hero));
  const scene = { hero, friend, place: choose(places), thing: choose(things) };
  const count = choose([4, 5, 6, 7, 8]);
  const sentences = Array.from({ length: count }, () => choose([moving, seeking, saying, giving])(scene, choose));
  return `${[opening(scene, choose), ...sentences].join(" ")}\n\n`;
}

function opening({ hero, friend, place, thing }: Scene, choose: Choose): string {
  return `${hero} and ${friend} lost ${article(choose(adjectives))} ${thing} near the ${choose(adjectives)} ${place}.`;
}

function moving({ hero, friend, place }: Scene, choose: Choose): string {
  const verb = choose(["went", "walked", "ran", "came"]);
  return `${choose([hero, friend])} ${verb} ${choose(["to", "past", "through"])} the ${place} ${choose(adverbs)}.`;
}

function seeking({ hero, friend, place, thing }: Scene, choose: Choose): string {
  const verb = choose(["looked for", "found", "hid", "saw"]);
  return `${choose([hero, friend])} ${verb} the ${thing} ${choose(["in", "near", "behind"])} the ${place}.`;
}

function saying({ hero, friend, place, thing }: Scene, choose: Choose): string {
  const [speaker, listener] = choose([
    [hero, friend],
    [friend, hero],
  ] as const);
  const question = choose([`Where is the ${thing}?`, `Is this the ${place}?`, `Do you know the ${place}?`]);
  return `"${question}" ${speaker} asked. "${choose(["Yes", "No", "Perhaps"])}, ${speaker}," said ${listener}.`;
}

function giving({ hero, friend, thing }: Scene, choose: Choose): string {
  return `So ${hero} gave the ${choose(adjectives)} ${thing} to ${friend} ${choose(adverbs)}.`;
}

function article(word: string): string {
  return `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;
}
