/** The thread in which a journal waits for its disk. Loads nothing but Node and what lies beside it. */
import { JournalDatabase } from "./journal-database.ts";
import type { JournalAnswer, JournalRequest } from "./messages.ts";
import { serve } from "./serve.ts";

serve<JournalRequest, JournalAnswer>((place) => {
  const database = new JournalDatabase(place);
  return {
    database,
    opened: { type: "opened", position: database.position, notes: database.notes },
    answer: (request) => answerTo(database, request),
    isReading: ({ type }) => type === "read" || type === "read-on",
    isAlone: () => false,
    transferOf: (answer) => (answer.type === "rows" ? answer.rows.map(({ frames }) => frames.buffer) : []),
  };
});

function answerTo(database: JournalDatabase, request: JournalRequest): JournalAnswer {
  switch (request.type) {
    case "append":
      database.append(request.rows);
      return { type: "done" };
    case "read":
      return { type: "rows", ...database.read(request.from) };
    case "read-on":
      return { type: "rows", ...database.readOn() };
    case "truncate":
      return { type: "truncated", isAll: database.truncate(request.upTo) };
    case "count":
      return { type: "counted", bytes: database.bytesAfter(request.after) };
    case "close":
      database.close();
      return { type: "done" };
  }
}
