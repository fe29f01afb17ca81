import { Verb } from "../gen/heddle/v1/objects.ts";

type Kebab<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}-${Kebab<Tail>}`
  : Lowercase<Name>;

/** A Verb by its name in small letters, "list-append": what code says instead of numbers. */
export type VerbName = Kebab<Exclude<keyof typeof Verb, "UNSPECIFIED">>;

const byName = new Map<string, Verb>(
  Object.entries(Verb).map(([name, verb]) => [name.toLowerCase().replaceAll("_", "-"), verb]),
);
const names: readonly (VerbName | undefined)[] = Array.from(
  { length: Math.max(...Object.values(Verb)) + 1 },
  (_, verb) => [...byName].find(([name, number]) => number === verb && name !== "unspecified")?.[0] as VerbName,
);

/** The wire's number of a verb. */
export function verbOf(name: VerbName): Verb {
  return byName.get(name) ?? Verb.UNSPECIFIED;
}

/** Undefined for a number that this build does not know. */
export function verbName(verb: number): VerbName | undefined {
  return names[verb];
}
