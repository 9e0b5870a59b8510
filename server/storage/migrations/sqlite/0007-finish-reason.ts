import { Migration } from '@mikro-orm/migrations'

/** A whole answer may still be one that a limit or a filter has cut. */
export class FinishReason extends Migration {
  override up(): void {
    this.addSql(`ALTER TABLE generations ADD COLUMN finish_reason TEXT
      CHECK (finish_reason IN ('STOP', 'LENGTH', 'CONTENT_FILTER', 'TOOL_CALLS'))`)
  }
}
