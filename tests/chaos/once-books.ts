import type { OnceState } from "./client-events.ts";

/** What one job has left whose writes count once: its sum, and the lines of its list. */
export interface OnceLeft {
  readonly key: string;
  readonly sum: number;
  readonly lines: readonly number[];
}

interface OnceJob {
  readonly answer: { readonly done: readonly number[]; readonly unknown: readonly number[] } | undefined;
  readonly isChecked: boolean;
}

/** Books of all jobs whose writes count once, whoever has submitted them. */
export class OnceBooks {
  readonly #jobs = new Map<string, OnceJob>();

  hear(state: OnceState): void {
    const known = this.#jobs.get(state.key) ?? { answer: undefined, isChecked: false };
    switch (state.state) {
      case "asked":
        this.#jobs.set(state.key, known);
        return;
      case "answered":
        this.#jobs.set(state.key, { ...known, answer: { done: state.done, unknown: state.unknown } });
        return;
      case "checked":
        this.#jobs.set(state.key, { ...known, isChecked: true });
        return;
    }
  }

  /** Keys of jobs of which nobody has said that their writes were checked. */
  open(): string[] {
    return [...this.#jobs].flatMap(([key, { isChecked }]) => (isChecked ? [] : [key]));
  }

  /** What is wrong, in words: a line more or less than results say, a sum that is not that of its lines, and a sum of all that is not the sum of each. */
  complaints(left: readonly OnceLeft[], together: number): string[] {
    const wrong = left.flatMap((each) => this.#complaintsOf(each));
    const checked = [...this.#jobs.values()].filter(({ isChecked }) => isChecked);
    const expected =
      checked.reduce((sum, { answer }) => sum + (answer?.done.length ?? 0), 0) +
      left.reduce((sum, { lines }) => sum + lines.length, 0);
    return together === expected
      ? wrong
      : [...wrong, `the sum of all that counts once is ${together}, and ${expected} items have counted`];
  }

  #complaintsOf({ key, sum, lines }: OnceLeft): string[] {
    const written = new Set(lines);
    const wrong: string[] = [];
    if (written.size !== lines.length) wrong.push(`lines of ${key} are there twice: ${lines.join(" ")}`);
    if (sum !== lines.length) wrong.push(`the sum of ${key} is ${sum}, and ${lines.length} lines were written with it`);
    const { answer } = this.#jobs.get(key) ?? {};
    if (answer === undefined) return wrong;
    const [done, unknown] = [new Set(answer.done), new Set(answer.unknown)];
    const lost = answer.done.filter((n) => !written.has(n));
    const extra = lines.filter((n) => !done.has(n) && !unknown.has(n));
    if (lost.length > 0) wrong.push(`writes of items ${lost.join(", ")} of ${key}, which have results, are not there`);
    if (extra.length > 0) wrong.push(`items ${extra.join(", ")} of ${key} have no result, and their writes are there`);
    return wrong;
  }
}
