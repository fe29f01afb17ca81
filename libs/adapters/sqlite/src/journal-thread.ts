/** The thread in which a journal waits for its disk. Loads nothing but Node and what lies beside it. */
import { JournalDatabase } from "./journal-database.ts";
import type { JournalAnswer, JournalRequest } from "./messages.ts";
import { type Served, serve } from "./serve.ts";

class ServedJournal implements Served<JournalRequest, JournalAnswer> {
  readonly #database: JournalDatabase;

  constructor(database: JournalDatabase) {
    this.#database = database;
  }

  get opened(): JournalAnswer {
    return { type: "opened", position: this.#database.position, notes: this.#database.notes };
  }

  get wantsTidying(): boolean {
    return this.#database.wantsTidying;
  }

  get needsTidying(): boolean {
    return this.#database.needsTidying;
  }

  tidy(): void {
    this.#database.tidy();
  }

  answer(request: JournalRequest): JournalAnswer {
    switch (request.type) {
      case "append":
        this.#database.append(request.rows);
        return { type: "done" };
      case "read":
        return { type: "rows", ...this.#database.read(request.from) };
      case "read-on":
        return { type: "rows", ...this.#database.readOn() };
      case "truncate":
        return { type: "truncated", isAll: this.#database.truncate(request.upTo) };
      case "count":
        return { type: "counted", bytes: this.#database.bytesAfter(request.after) };
      case "close":
        this.#database.close();
        return { type: "done" };
    }
  }

  isFound({ type }: JournalRequest): boolean {
    return type === "read" || type === "read-on";
  }

  isAlone(): boolean {
    return false;
  }

  transferOf(answer: JournalAnswer): ArrayBuffer[] {
    return answer.type === "rows" ? answer.rows.map(({ frames }) => frames.buffer) : [];
  }
}

serve((directory, bytesMax) => new ServedJournal(new JournalDatabase(directory, bytesMax)));
