/**
 * Moves positions apart until neighbours have a distance of at least `gap`, in their order, each as little as its group allows.
 *
 * Each group that touches lies around the mean of where its members would be.
 */
export function spreadOut(positions: readonly number[], gap: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
  type Group = { readonly members: number[]; middle: number };
  const groups: Group[] = [];
  for (const i of order) {
    let group: Group = { members: [i], middle: positions[i]! };
    for (let before = groups.at(-1); before !== undefined; before = groups.at(-1)) {
      const room = (gap * (before.members.length + group.members.length)) / 2;
      if (group.middle - before.middle >= room) break;
      const members = [...before.members, ...group.members];
      group = { members, middle: members.reduce((sum, one) => sum + positions[one]!, 0) / members.length };
      groups.pop();
    }
    groups.push(group);
  }
  const moved = [...positions];
  for (const { members, middle } of groups) {
    members.forEach((member, place) => {
      moved[member] = middle + (place - (members.length - 1) / 2) * gap;
    });
  }
  return moved;
}
