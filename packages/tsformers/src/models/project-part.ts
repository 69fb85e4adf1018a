/** The projection of a part's parameters, of a model in which others stand beside them; nothing where the part has none. */
export function projectPart<Part, Whole extends Part>(part: {
  project?(params: Part): Part;
}): { project?(params: Whole): Whole } {
  const { project } = part;
  return project === undefined ? {} : { project: (params) => ({ ...params, ...project(params) }) };
}
