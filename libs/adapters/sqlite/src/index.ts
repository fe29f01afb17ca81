export { type SqliteJobStoreOptions, sqliteJobStore } from "./sqlite-job-store.ts";
export { openSqliteJournal, type SqliteJournalOptions } from "./sqlite-journal.ts";
