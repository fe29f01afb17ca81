/** How a path goes on below a container. */
export const Step = { FIELD: 0, INDEX: 1, MAP_KEY: 2, MAP_VALUE: 3, ELEMENT: 4, DESCRIPTION: 5 } as const;
export type Step = (typeof Step)[keyof typeof Step];

const KEY_LENGTH_MAX = 60;

/** The path of steps 1..depth, as in `$.rows[3]["odd name"].get("key").values()[0]`. */
export function pathOf(steps: readonly Step[], keys: readonly unknown[], depth: number): string {
  let path = "$";
  for (let at = 1; at <= depth; at++) path += segment(steps[at] ?? Step.FIELD, keys[at]);
  return path;
}

function segment(step: Step, key: unknown): string {
  switch (step) {
    case Step.FIELD:
      return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(String(key)) ? `.${String(key)}` : `[${shown(key)}]`;
    case Step.INDEX:
      return `[${String(key)}]`;
    case Step.MAP_KEY:
      return `.keys()[${shown(key)}]`;
    case Step.MAP_VALUE:
      return `.get(${shown(key)})`;
    case Step.ELEMENT:
      return `.values()[${String(key)}]`;
    case Step.DESCRIPTION:
      return "";
  }
}

function shown(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key.slice(0, KEY_LENGTH_MAX));
  if (typeof key === "bigint") return `${key}n`;
  return typeof key === "object" || typeof key === "function" ? `a ${typeof key}` : String(key);
}
