/** A readable form of a name that only a newer gateway has. */
import type { Reason } from '../api/document'
import type { Strings } from './strings'

export const plain = (word: string): string => word.replaceAll('_', ' ')

/** The text of a reason, and what to do about it. */
export const because = ({ reasons }: Strings, reason: Reason): readonly [string, string] =>
  reasons[reason] ?? [plain(reason), '']
