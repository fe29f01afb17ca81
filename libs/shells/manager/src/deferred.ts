import type { Command, SessionNumber } from "@heddle/core-objects";

type Ending = Extract<Command, { readonly type: "owner-closed" | "session-closed" }>;

interface Told {
  readonly session: SessionNumber;
  readonly owner: number;
  readonly pairs: number[];
}

/** What could not be journalled while the disk was full and nobody asks for again: it is done when there is room. */
export class Deferred {
  /** By session and owner, in both: each is done once. */
  readonly #endings = new Map<string, Ending>();
  readonly #told = new Map<string, Told>();

  end(command: Ending): void {
    const owner = command.type === "owner-closed" ? command.owner : "all";
    this.#endings.set(`${command.session} ${owner}`, command);
  }

  /** Replies that need not be kept any more, though the operations they came with were refused. Pairs that follow on each other are one. */
  acknowledge(session: SessionNumber, owner: number, acknowledged: readonly number[]): void {
    if (acknowledged.length === 0) return;
    const key = `${session} ${owner}`;
    const told = this.#told.get(key) ?? { session, owner, pairs: [] };
    this.#told.set(key, told);
    const { pairs } = told;
    for (let at = 0; at + 1 < acknowledged.length; at += 2) {
      const [first = 0, count = 0] = [acknowledged[at], acknowledged[at + 1]];
      const [lastFirst = 0, lastCount = 0] = pairs.slice(-2);
      if (pairs.length > 0 && lastFirst + lastCount === first) pairs[pairs.length - 1] = lastCount + count;
      else pairs.push(first, count);
    }
  }

  /** All of it, as commands; nothing is left. */
  take(): Command[] {
    const acknowledged = Array.from(this.#told.values(), ({ session, owner, pairs }): Command => {
      return { type: "operations-asked", session, owner, acknowledged: pairs, operations: [] };
    });
    const commands = [...acknowledged, ...this.#endings.values()];
    this.#told.clear();
    this.#endings.clear();
    return commands;
  }
}
