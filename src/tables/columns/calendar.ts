/**
 * The Gregorian calendar throughout, without `Date`, whose years end at 275760. Days are counted in eras of 400 years from
 * the first of March of year 0: so a leap day is the last of its year.
 */

const daysPerEra = 146_097
/** From 0000-03-01 to 1970-01-01. */
const daysToEpoch = 719_468

/** The date of a number of days since 1970. */
export function civilOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + daysToEpoch
  const era = Math.floor(shifted / daysPerEra)
  const dayOfEra = shifted - era * daysPerEra
  const leapDays =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}

/** The days since 1970 of a date; one that there is not, as of a 13th month or a February 30, is counted on. */
export function daysOf(year: number, month: number, day: number): number {
  const months = year * 12 + month - 3
  const yearFromMarch = Math.floor(months / 12)
  const era = Math.floor(yearFromMarch / 400)
  const yearOfEra = yearFromMarch - era * 400
  const dayOfYear = Math.floor((153 * (months - yearFromMarch * 12) + 2) / 5) + day - 1
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  return era * daysPerEra + yearOfEra * 365 + leapDays + dayOfYear - daysToEpoch
}
