/** A command and the actions that it asks for, as words. */
export type Instruction = { readonly command: string; readonly actions: readonly string[] };

export const commandWords: readonly string[] = [
  ...["walk", "look", "run", "jump", "turn", "left", "right"],
  ...["opposite", "around", "twice", "thrice", "and", "after"],
];

export const actionWords: readonly string[] = ["I_WALK", "I_LOOK", "I_RUN", "I_JUMP", "I_TURN_LEFT", "I_TURN_RIGHT"];

/**
 * All 20,910 commands of SCAN with their meanings, from the grammar down:
 *
 * ```
 * C → S and S | S after S | S      V → D | U | verb opposite direction | verb around direction
 * S → V twice | V thrice | V       D → verb direction, verb → U | turn
 *                                  U → walk | look | run | jump
 * ```
 *
 * `left` turns before the action, `opposite left` turns twice before it, `around left` turns before it four times over; `turn` is no action of
 * its own. `x after y` does y first.
 *
 * @source Lake & Baroni 2018, "Generalization without Systematicity", Figs. 6 and 7, arXiv:1711.00350
 */
export function allInstructions(): Instruction[] {
  const primitives = ["walk", "look", "run", "jump"].map((verb) => made(verb, [`I_${verb.toUpperCase()}`]));
  const directed = [...primitives, made("turn", [])].flatMap(({ command: verb, actions }) =>
    ["left", "right"].flatMap((direction) => {
      const turn = `I_TURN_${direction.toUpperCase()}`;
      return [
        made(`${verb} ${direction}`, [turn, ...actions]),
        made(`${verb} opposite ${direction}`, [turn, turn, ...actions]),
        made(`${verb} around ${direction}`, repeated([turn, ...actions], 4)),
      ];
    }),
  );
  const sentences = [...primitives, ...directed].flatMap(({ command, actions }) => [
    made(command, actions),
    made(`${command} twice`, repeated(actions, 2)),
    made(`${command} thrice`, repeated(actions, 3)),
  ]);
  const joined = sentences.flatMap((first) =>
    sentences.flatMap((second) => [
      made(`${first.command} and ${second.command}`, [...first.actions, ...second.actions]),
      made(`${first.command} after ${second.command}`, [...second.actions, ...first.actions]),
    ]),
  );
  return [...sentences, ...joined];
}

function made(command: string, actions: readonly string[]): Instruction {
  return { command, actions };
}

function repeated(actions: readonly string[], times: number): string[] {
  return Array.from({ length: times }, () => actions).flat();
}
