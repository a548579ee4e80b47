"""Fields whose name alone says that their values are somebody's, even where no pattern would find anything."""

import re

_BETWEEN = re.compile(r"[^a-z0-9]+")
_NAMES = (
    "ip ipaddress ipaddr ipv4 ipv6 clientip remoteip sourceip srcip peerip userip hostip realip xrealip xforwardedfor"
    " forwardedfor address addr client clientid clientaddress clientaddr remote remoteaddress remoteaddr remotehost"
    " peer peeraddress mac macaddress deviceid imei imsi"
    " email emailaddress mail mailaddress useremail user username userid useruuid uid login loginname account accountid"
    " accountnumber customer customerid customername member memberid patient patientid employee employeeid person"
    " personid sub actor sender recipient"
    " firstname lastname surname fullname givenname familyname displayname nickname maidenname"
    " phone phonenumber mobile mobilenumber telephone tel fax msisdn"
    " street streetaddress postaladdress zipcode postcode postalcode birthday birthdate dateofbirth dob"
    " latitude longitude lat lon lng coordinates geolocation"
    " token accesstoken refreshtoken idtoken authtoken apikey apitoken accesskey secretkey privatekey password passwd"
    " passphrase pass pwd pin otp secret clientsecret credential credentials authorization cookie cookies setcookie"
    " session sessionid sessionkey sid jsessionid csrf csrftoken signature"
    " ssn socialsecurity socialsecuritynumber nationalid taxid passport passportnumber driverslicense"
    " card cardnumber creditcard creditcardnumber debitcard pan cvv cvc iban bic bankaccount"
)
_PERSONAL = frozenset(_NAMES.split())


def is_personal(field: str) -> bool:
    """`userId`, `user_id` and `client.user-id` are the same."""
    parts = field.split(".")
    return any(_BETWEEN.sub("", part.lower()) in _PERSONAL for part in (field, parts[-1]))
