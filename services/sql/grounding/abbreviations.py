"""What identifiers shorten: the abbreviations people use in names, and words written without their vowels."""

from __future__ import annotations

_LISTED = """
acc: account; acct: account; addr: address; agt: agent; amt: amount; app: application; appt: appointment; arr: arrival
asgn: assignment; asst: assistant; att: attendance; avg: average; bal: balance; bdgt: budget; bldg: building
br: branch; brn: branch; calc: calculated; cat: category; catg: category; ccy: currency; cd: code; chg: charge
clm: claim; clnt: client; clr: color; cmnt: comment; cmpl: completed; cmt: comment; cnt: count; cntry: country
compl: completed; conf: conference; contr: contract; crd: card; crs: course; crt: created; crtd: created; ctr: center
ctrct: contract; ctry: country; curr: currency; cust: customer; dep: departure; dept: department; desc: description
descr: description; dest: destination; diag: diagnosis; disc: discount; dist: distance; dlv: delivery; dlvry: delivery
dob: birth date; doc: document; docs: documents; dpt: department; drv: driver; dt: date; dur: duration; edu: education
emp: employee; enrl: enrollment; env: environment; eqp: equipment; equip: equipment; evt: event; expd: expected
flr: floor; fname: first name; freq: frequency; gndr: gender; grd: grade; grp: group; hr: hour; hrs: hours; ht: height
img: image; ins: insurance; int: interest; inv: invoice; invt: inventory; itm: item; lang: language; lat: latitude
len: length; lname: last name; lng: longitude; loc: location; lv: leave; lvl: level; mach: machine
manuf: manufacturer; max: maximum; mfg: manufacturer; mfr: manufacturer; mgmt: management; mgr: manager; min: minimum
mins: minutes; mktg: marketing; mnth: month; mod: modified; mon: month; msg: message; msrp: price; mth: month
mun: municipality; nbr: number; nm: name; no: number; nr: number; num: number; occ: occupation; ord: order
org: organization; orig: origin; pat: patient; pct: percent; perf: performance; phys: physician; pic: picture
pmnt: payment; pmt: payment; pol: policy; pop: population; prc: price; prem: premium; prio: priority; prj: project
proc: procedure; prod: product; proj: project; prov: province; pub: publication; pwd: password; pymt: payment
qtr: quarter; qty: quantity; rcpt: receipt; rcv: received; recv: received; ref: reference; reg: registration
req: request; resp: response; rev: revenue; rpt: report; rx: prescription; sal: salary; sched: schedule; sec: second
secs: seconds; sect: section; sem: semester; sess: session; sev: severity; shpmt: shipment; sku: product code
src: source; srv: service; stat: status; stk: stock; strt: start; stu: student; subcat: subcategory; supp: supplier
suppl: supplier; svc: service; sz: size; tchr: teacher; tel: telephone; temp: temperature; tgt: target; tot: total
trans: transaction; trn: transaction; trng: training; trx: transaction; ts: timestamp; tsk: task; ttl: title
tx: transaction; txn: transaction; typ: type; uni: university; univ: university; upd: updated; updt: updated
usr: user; veh: vehicle; vend: vendor; vol: volume; wh: warehouse; whse: warehouse; wk: week; wt: weight; yr: year
"""

ABBREVIATIONS: dict[str, str] = {
    short.strip(): words.strip()
    for line in _LISTED.strip().splitlines()
    for short, _, words in (entry.partition(":") for entry in line.split(";"))
}

_VOWELS = frozenset("aeiou")
LEAST_LENGTH = 3


def is_abbreviated(short: str, word: str) -> bool:
    """Whether a name without vowels stands for a word: "gndr" for gender, "trng" for training, "ctry" for country."""
    if not LEAST_LENGTH <= len(short) <= len(word) - 2 or short[0] != word[0] or _VOWELS & set(short[1:]):
        return False
    at = 0
    for letter in short:
        at = word.find(letter, at) + 1
        if not at:
            return False
    consonants = [letter for before, letter in zip(" " + word, word, strict=False) if letter != before]
    return len(short) >= 0.6 * sum(letter not in _VOWELS for letter in consonants)
