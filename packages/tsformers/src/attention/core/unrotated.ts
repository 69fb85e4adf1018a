import type { Mixer, View } from "../../kinds/index.ts";

/** A mixer that tells positions apart by itself, in a stack whose other layers rotate queries and keys: it is shown no rotation. */
export function unrotated<Params>(mixer: Mixer<Params>): Mixer<Params> {
  const { recurrent } = mixer;
  return {
    ...mixer,
    apply: (params, input, context) => mixer.apply(params, { ...input, view: withoutRotation(input.view) }, context),
    ...(recurrent !== undefined && {
      recurrent: {
        ...recurrent,
        step: (params, x, state, at) => recurrent.step(params, x, state, { ...at, view: withoutRotation(at.view) }),
      },
    }),
  };
}

function withoutRotation({ rotate, ...view }: View): View {
  return view;
}
