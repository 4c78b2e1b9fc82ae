/** Words for what only a newer gateway knows: its own, made readable. */
import type { Reason } from '../api/document'
import type { Strings } from './strings'

export const plain = (word: string): string => word.replaceAll('_', ' ')

/** Why, and what helps. */
export const because = ({ reasons }: Strings, reason: Reason): readonly [string, string] =>
  reasons[reason] ?? [plain(reason), '']
